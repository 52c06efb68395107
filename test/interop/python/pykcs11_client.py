"""What a Python program does with an HSM through PyKCS11, as CloudHSM wants it; prints what others can check as JSON."""
import json
import os
import sys

from PyKCS11 import *

library = PyKCS11Lib()
library.load(os.environ["PKCS11_MODULE_PATH"])
slot = library.getSlotList(tokenPresent=True)[0]
session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
session.login(os.environ["CLOUDHSM_PIN"])
message = sys.argv[1].encode()
found = {"slot": hex(slot), "token": library.getTokenInfo(slot).label.strip()}


def hexadecimal(values):
    return bytes(values).hex()


def value(handle, attribute):
    return hexadecimal(session.getAttributeValue(handle, [attribute])[0])


rsa_public, rsa_private = session.generateKeyPair(
    [(CKA_LABEL, "python"), (CKA_ID, (1,)), (CKA_MODULUS_BITS, 2048), (CKA_PUBLIC_EXPONENT, (1, 0, 1)),
     (CKA_VERIFY, CK_TRUE), (CKA_ENCRYPT, CK_TRUE), (CKA_WRAP, CK_TRUE), (CKA_TOKEN, CK_TRUE)],
    [(CKA_LABEL, "python"), (CKA_ID, (1,)), (CKA_SIGN, CK_TRUE), (CKA_DECRYPT, CK_TRUE), (CKA_UNWRAP, CK_TRUE),
     (CKA_TOKEN, CK_TRUE)])
pss = RSA_PSS_Mechanism(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32)
found["modulus"] = value(rsa_public, CKA_MODULUS)
found["pss"] = hexadecimal(session.sign(rsa_private, message, pss))

ec_public, ec_private = session.generateKeyPair(
    [(CKA_EC_PARAMS, bytes.fromhex("06082a8648ce3d030107")), (CKA_VERIFY, CK_TRUE), (CKA_LABEL, "python")],
    [(CKA_SIGN, CK_TRUE), (CKA_LABEL, "python")],
    mecha=Mechanism(CKM_EC_KEY_PAIR_GEN, None))
found["point"] = value(ec_public, CKA_EC_POINT)
found["ecdsa"] = hexadecimal(session.sign(ec_private, message, Mechanism(CKM_ECDSA_SHA256, None)))

oaep = RSAOAEPMechanism(CKM_SHA256, CKG_MGF1_SHA256)
found["oaep"] = bytes(session.decrypt(rsa_private, session.encrypt(rsa_public, message, oaep), oaep)).decode()

aes = session.generateKey(
    [(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 32), (CKA_ENCRYPT, CK_TRUE), (CKA_DECRYPT, CK_TRUE)])
# The HSM writes its IV into the mechanism's own, with which the same object decrypts.
gcm = AES_GCM_Mechanism([0] * 12, b"additional", 128)
sealed = session.encrypt(aes, message, gcm)
found["gcm"] = bytes(session.decrypt(aes, sealed, gcm)).decode()
found["gcmLength"] = len(sealed)

wrapped = session.wrapKey(rsa_public, aes, oaep)
template = [(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_TOKEN, CK_FALSE), (CKA_DECRYPT, CK_TRUE)]
unwrapped = session.unwrapKey(rsa_private, wrapped, template, oaep)
found["unwrapped"] = bytes(session.decrypt(unwrapped, sealed, gcm)).decode()

found["digest"] = hexadecimal(session.digest(message, Mechanism(CKM_SHA256, None)))
found["labelled"] = sorted(key.to_dict()["CKA_CLASS"] for key in session.findObjects([(CKA_LABEL, "python")]))
for key in session.findObjects([(CKA_LABEL, "python")]):
    session.destroyObject(key)
found["left"] = len(session.findObjects([(CKA_LABEL, "python")]))
try:
    session.setPin("old", "new")
except PyKCS11Error as error:
    found["setPin"] = error.value
session.logout()
session.closeSession()
print(json.dumps(found))
