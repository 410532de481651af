# AIS_PROG_PYTEST: set PYTHON to an interpreter that can import pytest, or to
# nothing.  The first python3 on PATH may well be one that cannot, while the
# distribution's own modules belong to the distribution's interpreter.
AC_DEFUN([AIS_PROG_PYTEST], [
	AC_ARG_VAR([PYTHON], [Python 3 interpreter with pytest, for the tests])
	AC_CACHE_CHECK([for a Python that has pytest], [ais_cv_pytest], [
		ais_cv_pytest=no
		for ais_python in $PYTHON /usr/bin/python3 python3
		do
			AS_IF([$ais_python -c "import pytest" 2>/dev/null], [
				ais_cv_pytest=$ais_python
				break
			])
		done
	])
	AS_IF([test "$ais_cv_pytest" = no],
		[PYTHON=], [PYTHON=$ais_cv_pytest])
])
