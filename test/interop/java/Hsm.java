import java.security.KeyStore;
import java.security.Provider;
import java.security.Security;

/** The provider of conf/java-sunpkcs11.cfg (system property hsm.config), logged in. */
final class Hsm {
  final Provider provider = Security.getProvider("SunPKCS11").configure(System.getProperty("hsm.config"));
  final KeyStore keyStore;

  Hsm() throws Exception {
    keyStore = KeyStore.getInstance("PKCS11", provider);
    keyStore.load(null, System.getenv("CLOUDHSM_PIN").toCharArray());
  }
}
