/*
 * certificates.h - certificates for tests, made by openssl when they run.
 *
 * certificates_make() writes to the current directory, for each NAME below,
 * NAME.pem and NAME.key:
 *
 *	server	alice	good ones, of the authority in site/ca.pem
 *	revoked		as alice, but on the list crl.pem
 *	expired	future	as alice, at another time
 *	both		a client and a server in one
 *	stranger	as alice, of the authority in other/ca.pem
 *
 * crl.pem is the site's list of now, oldcrl.pem one that has expired.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CERTIFICATES_H
#define AIS_CERTIFICATES_H

#include <stdlib.h>

static const char certificates_script[] =
    "set -e\n"
    "authority() {\n"
    "	mkdir $1\n"
    "	: > $1/index.txt\n"
    "	echo 01 > $1/crlnumber\n"
    "	cat > $1/cnf <<END\n"
    "[ca]\n"
    "default_ca = d\n"
    "[d]\n"
    "database = $1/index.txt\n"
    "new_certs_dir = $1\n"
    "rand_serial = yes\n"
    "crlnumber = $1/crlnumber\n"
    "policy = p\n"
    "default_md = sha256\n"
    "default_crl_days = 30\n"
    "unique_subject = no\n"
    "certificate = $1/ca.pem\n"
    "private_key = $1/ca.key\n"
    "[p]\n"
    "commonName = supplied\n"
    "[req]\n"
    "distinguished_name = n\n"
    "x509_extensions = authority\n"
    "[n]\n"
    "[authority]\n"
    "basicConstraints = critical, CA:TRUE\n"
    "keyUsage = critical, keyCertSign, cRLSign\n"
    "[server]\n"
    "basicConstraints = critical, CA:FALSE\n"
    "keyUsage = critical, digitalSignature\n"
    "extendedKeyUsage = serverAuth\n"
    "subjectAltName = DNS:localhost, IP:127.0.0.1\n"
    "[client]\n"
    "basicConstraints = critical, CA:FALSE\n"
    "keyUsage = critical, digitalSignature\n"
    "extendedKeyUsage = clientAuth\n"
    "[both]\n"
    "basicConstraints = critical, CA:FALSE\n"
    "keyUsage = critical, digitalSignature\n"
    "extendedKeyUsage = clientAuth, serverAuth\n"
    "subjectAltName = DNS:localhost\n"
    "END\n"
    "	openssl req -config $1/cnf -x509 $new -keyout $1/ca.key \\\n"
    "		-out $1/ca.pem -days 30 -subj /CN=$2\n"
    "}\n"
    "certificate() {\n"
    "	openssl req -config $1/cnf -new $new -keyout $2.key \\\n"
    "		-out $2.csr -subj /CN=$2\n"
    "	openssl ca -config $1/cnf -batch -notext -extensions $3 \\\n"
    "		-startdate ${4:-20200101000000Z} \\\n"
    "		-enddate ${5:-20990101000000Z} -in $2.csr -out $2.pem\n"
    "}\n"
    "new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "authority site AIS_TEST_CA\n"
    "authority other OTHER_CA\n"
    "certificate site server server\n"
    "certificate site alice client\n"
    "certificate site revoked client\n"
    "certificate site expired client 20200101000000Z 20200201000000Z\n"
    "certificate site future client 20980101000000Z\n"
    "certificate site both both\n"
    "certificate other stranger client\n"
    "openssl ca -config site/cnf -revoke revoked.pem\n"
    "openssl ca -config site/cnf -gencrl -out crl.pem\n"
    "openssl ca -config site/cnf -gencrl -crl_lastupdate 20200101000000Z \\\n"
    "	-crl_nextupdate 20200201000000Z -out oldcrl.pem\n";

/* Make them.  0, or something else if openssl did not do it. */
static inline int
certificates_make(void)
{
	if (setenv("AIS_CERTIFICATES", certificates_script, 1) != 0)
		return -1;
	return system("eval \"$AIS_CERTIFICATES\" > openssl.log 2>&1");
}

#endif
