# AIS_SYSTEMD_DIR(VARIABLE, PKG-CONFIG VARIABLE, WHAT): a directory in which
# systemd looks for WHAT.  --with-VARIABLE=DIR sets it, --without-VARIABLE
# leaves WHAT out, and otherwise systemd.pc is asked.  VARIABLE is empty where
# nothing is to be installed.
AC_DEFUN([AIS_SYSTEMD_DIR], [
	AC_REQUIRE([PKG_PROG_PKG_CONFIG])
	AC_ARG_WITH([$1],
		[AS_HELP_STRING([--with-$1=DIR], [where to install $3])],
		[], [with_$1=auto])
	AC_MSG_CHECKING([where to install $3])
	AS_CASE([$with_$1],
		[no], [$1=],
		[yes|auto], [
			$1=$($PKG_CONFIG --variable=$2 systemd 2>/dev/null)
			AS_IF([test "$with_$1" = yes && test -z "$$1"],
				[AC_MSG_ERROR([systemd.pc does not say; ]dnl
					[name the directory])])
		],
		[$1=$with_$1])
	AC_MSG_RESULT([${$1:-nowhere}])
	AC_SUBST([$1])
])

# AIS_SHARED_DIR(VARIABLE, SWITCH, DEFAULT, WHAT): a directory below datadir in
# which a shell looks for WHAT.  --with-SWITCH=DIR sets it, and
# --without-SWITCH leaves WHAT out: VARIABLE is empty then.
AC_DEFUN([AIS_SHARED_DIR], [
	AC_ARG_WITH([$2],
		[AS_HELP_STRING([--with-$2=DIR],
			[where to install $4; default: DATADIR/$3])],
		[$1=$withval], [$1=yes])
	AS_CASE([$$1],
		[no], [$1=],
		[yes], [$1='${datadir}/$3'])
	AC_SUBST([$1])
])
