import java.security.Key;
import java.security.cert.X509Certificate;
import java.util.Collections;

/** Prints a line for each entry of the KeyStore: alias, algorithm of the private key, subject of the certificate. */
final class ListKeys {
  public static void main(String[] words) throws Exception {
    Hsm hsm = new Hsm();
    for (String alias : Collections.list(hsm.keyStore.aliases())) {
      Key key = hsm.keyStore.getKey(alias, null);
      X509Certificate certificate = (X509Certificate) hsm.keyStore.getCertificate(alias);
      System.out.printf(
          "%s %s %s%n",
          alias,
          key == null ? "no-key" : key.getAlgorithm(),
          certificate == null ? "no-certificate" : certificate.getSubjectX500Principal());
    }
  }
}
