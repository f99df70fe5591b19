#!/bin/sh
# Makes the certificates that test_tls.py and test_link.py use; valid for a hundred years, of no value to anybody.
set -eu
cd "$(dirname "$0")"
curve="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
authority() { # name
    openssl genpkey $curve -out "$1-key.pem"
    openssl req -x509 -new -key "$1-key.pem" -subj "/CN=$1" -days 36500 -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
certificate() { # name, authority, subjectAltName, extended key usage, further options
    name=$1 by=$2 hosts=$3 usage=$4
    shift 4
    openssl genpkey $curve -out "$name-key.pem"
    openssl req -x509 -new -key "$name-key.pem" -subj "/CN=$name" -CA "$by.pem" -CAkey "$by-key.pem" -out "$name.pem" \
        -addext basicConstraints=critical,CA:FALSE -addext "extendedKeyUsage=$usage" \
        -addext "subjectAltName=$hosts" "$@"
}
authority ca
authority other-ca
here=DNS:localhost,IP:127.0.0.1
certificate node ca "$here,DNS:n1,DNS:n2" serverAuth,clientAuth -days 36500
certificate third ca "$here,DNS:n3" serverAuth,clientAuth -days 36500
certificate laptop ca DNS:laptop clientAuth,serverAuth -days 36500 # of a client
certificate stranger other-ca "$here,DNS:n2" serverAuth,clientAuth -days 36500
certificate server-only ca "$here" serverAuth -days 36500
openssl req -new -key node-key.pem -subj /CN=expired |
    openssl x509 -req -CA ca.pem -CAkey ca-key.pem -days -1 -out expired.pem # ended before it began
openssl pkey -in node-key.pem -aes256 -passout pass:secret -out locked-key.pem
rm -f ca-key.pem other-ca-key.pem
