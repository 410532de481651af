# Probes for compiler and linker flags.  Each flag is tried together with
# -Werror, since a compiler may only warn about a flag it does not know.

# AIS_CFLAG(VARIABLE, FLAG): add FLAG to VARIABLE if the compiler takes it.
AC_DEFUN([AIS_CFLAG], [
	AS_VAR_PUSHDEF([cache], [ais_cv_cflag_$2])
	AC_CACHE_CHECK([whether $CC accepts $2], [cache], [
		ais_saved=$CFLAGS
		CFLAGS="$CFLAGS -Werror $2"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
			[AS_VAR_SET([cache], [yes])],
			[AS_VAR_SET([cache], [no])])
		CFLAGS=$ais_saved
	])
	AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
	AS_VAR_POPDEF([cache])
])

# AIS_LDFLAG(VARIABLE, FLAG): add FLAG to VARIABLE if a program links with it.
AC_DEFUN([AIS_LDFLAG], [
	AS_VAR_PUSHDEF([cache], [ais_cv_ldflag_$2])
	AC_CACHE_CHECK([whether $CC links with $2], [cache], [
		ais_saved_c=$CFLAGS
		ais_saved_ld=$LDFLAGS
		CFLAGS="$CFLAGS -Werror $AIS_HARDENING_CFLAGS"
		LDFLAGS="$LDFLAGS $2"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
			[AS_VAR_SET([cache], [yes])],
			[AS_VAR_SET([cache], [no])])
		CFLAGS=$ais_saved_c
		LDFLAGS=$ais_saved_ld
	])
	AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
	AS_VAR_POPDEF([cache])
])

# AIS_CFLAGS_EACH(VARIABLE, FLAGS) and AIS_LDFLAGS_EACH(VARIABLE, FLAGS): the
# same for each flag of a list.
AC_DEFUN([AIS_CFLAGS_EACH],
	[m4_foreach_w([ais_flag], [$2], [AIS_CFLAG([$1], m4_defn([ais_flag]))])])
AC_DEFUN([AIS_LDFLAGS_EACH],
	[m4_foreach_w([ais_flag], [$2], [AIS_LDFLAG([$1], m4_defn([ais_flag]))])])

# AIS_FORTIFY(VARIABLE): add -D_FORTIFY_SOURCE=2 to VARIABLE.  The C library
# warns when it is asked for without optimisation, and some distributions'
# compilers define it by themselves.
AC_DEFUN([AIS_FORTIFY], [
	AC_CACHE_CHECK([whether to ask for _FORTIFY_SOURCE],
	[ais_cv_fortify], [
		AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
			#if !defined(__OPTIMIZE__) || defined(_FORTIFY_SOURCE)
			# error "not optimising, or defined already"
			#endif
			int nothing;
		]])], [ais_cv_fortify=yes], [ais_cv_fortify=no])
	])
	AS_IF([test "$ais_cv_fortify" = yes],
		[AS_VAR_APPEND([$1], [" -D_FORTIFY_SOURCE=2"])])
])
