import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.AlgorithmParameterSpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;

/** ALIAS DATA-FILE FOLDER ALGORITHM…: signs with a key of the KeyStore and verifies it with the HSM, too. */
final class SignFile {
  public static void main(String[] words) throws Exception {
    Hsm hsm = new Hsm();
    PrivateKey key = (PrivateKey) hsm.keyStore.getKey(words[0], null);
    byte[] data = Files.readAllBytes(Path.of(words[1]));
    for (int at = 3; at < words.length; at++) {
      Signature signer = signatureOf(hsm, words[at]);
      signer.initSign(key);
      signer.update(data);
      byte[] signature = signer.sign();
      Files.write(Path.of(words[2], words[0] + "-" + words[at] + ".sig"), signature);

      Signature verifier = signatureOf(hsm, words[at]);
      verifier.initVerify(hsm.keyStore.getCertificate(words[0]));
      verifier.update(data);
      boolean accepted = verifier.verify(signature);
      verifier.update(data);
      verifier.update((byte) 0);
      boolean acceptedOther = verifier.verify(signature);
      System.out.printf("%s %s %s%n", words[at], accepted, acceptedOther);
    }
  }

  /** RSASSA-PSS-SHA256 is RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt as long as the hash. */
  private static Signature signatureOf(Hsm hsm, String algorithm) throws Exception {
    if (!algorithm.startsWith("RSASSA-PSS-")) return Signature.getInstance(algorithm, hsm.provider);
    Signature signature = Signature.getInstance("RSASSA-PSS", hsm.provider);
    signature.setParameter(pssParameters(algorithm.substring("RSASSA-PSS-SHA".length())));
    return signature;
  }

  private static AlgorithmParameterSpec pssParameters(String bits) {
    String hash = "SHA-" + bits;
    return new PSSParameterSpec(hash, "MGF1", new MGF1ParameterSpec(hash), Integer.parseInt(bits) / 8, 1);
  }
}
