#!/usr/bin/python3
"""openssl: keys, digests, ciphers, signatures and a certificate of its own."""

import random

import harness

BYTES = 8 << 20
SEED = 3
# What is made from random numbers is used, checked and then removed: it differs from run to run.
SCRIPT = """
for digest in sha256 sha512 sha3-256 blake2b512; do openssl dgst -$digest < "$0"; done
for cipher in aes-256-cbc aes-128-ctr chacha20 camellia-256-cbc; do
  openssl enc -$cipher -pbkdf2 -S 0102030405060708 -k secret -in "$0" -out data.$cipher
  openssl enc -d -$cipher -pbkdf2 -S 0102030405060708 -k secret -in data.$cipher | cmp - "$0"
done
openssl genrsa -out rsa.pem 2048 2> progress
openssl dgst -sha256 -sign rsa.pem -out signature "$0"
openssl rsa -in rsa.pem -pubout -out public.pem 2> progress
openssl dgst -sha256 -verify public.pem -signature signature "$0"
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
for key in rsa ec; do
  openssl req -x509 -new -key $key.pem -subj /CN=test -days 2 -out $key.crt
  openssl verify -CAfile $key.crt $key.crt
  openssl x509 -in $key.crt -noout -subject
done
openssl cms -sign -binary -in "$0" -signer rsa.crt -inkey rsa.pem -outform DER -out mail -nodetach
openssl cms -verify -binary -in mail -inform DER -CAfile rsa.crt -out mail.data
cmp mail.data "$0"
openssl list -digest-algorithms
rm progress *.pem *.crt signature mail
"""


def body(trial: harness.Harness) -> None:
    data = trial.scratch / "data"
    data.write_bytes(random.Random(SEED).randbytes(BYTES))
    trial.same(["bash", "-euc", SCRIPT, str(data)], processes=20)


if __name__ == "__main__":
    harness.main(body)
