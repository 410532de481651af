# AIS_SONAME(VARIABLE, LIBRARY, FUNCTION): define VARIABLE_SONAME to the name
# by which the dynamic linker finds the library of $VARIABLE_LIBS, for a
# program that loads it when it needs it.  A program that calls FUNCTION is
# linked, and not run: this also serves a build for another machine.
AC_DEFUN([AIS_SONAME], [
	AC_ARG_VAR([$1_SONAME], [name by which $2 is loaded])
	AC_CHECK_TOOL([READELF], [readelf], [:])
	AC_CACHE_CHECK([for the name by which $2 is loaded],
		[ais_cv_soname_$2], [
		ais_saved=$LIBS
		LIBS="$$1_LIBS $LIBS"
		AC_LINK_IFELSE([AC_LANG_CALL([], [$3])],
			[ais_cv_soname_$2=`$READELF -d conftest$ac_exeext |
				sed -n 's/.*(NEEDED).*\@<:@\($2\..*\)\@:>@/\1/p'`])
		LIBS=$ais_saved
		AS_IF([test -n "$$1_SONAME"], [ais_cv_soname_$2=$$1_SONAME])
	])
	AS_IF([test -z "$ais_cv_soname_$2"], [AC_MSG_ERROR(
		[a program with $2 does not tell its name; set $1_SONAME])])
	AC_DEFINE_UNQUOTED([$1_SONAME], ["$ais_cv_soname_$2"],
		[The name by which $2 is loaded.])
])
