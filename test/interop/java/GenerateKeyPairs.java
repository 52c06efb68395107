import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;

/** DATA-FILE FOLDER KEY…: makes key pairs in the HSM (RSA-2048, EC-secp256r1), writes public keys and signatures. */
final class GenerateKeyPairs {
  public static void main(String[] words) throws Exception {
    Hsm hsm = new Hsm();
    byte[] data = Files.readAllBytes(Path.of(words[0]));
    for (int at = 2; at < words.length; at++) {
      String[] key = words[at].split("-");
      KeyPairGenerator generator = KeyPairGenerator.getInstance(key[0], hsm.provider);
      if (key[0].equals("EC")) generator.initialize(new ECGenParameterSpec(key[1]));
      else generator.initialize(Integer.parseInt(key[1]));
      KeyPair pair = generator.generateKeyPair();

      Signature signer =
          Signature.getInstance(key[0].equals("EC") ? "SHA256withECDSA" : "SHA256withRSA", hsm.provider);
      signer.initSign(pair.getPrivate());
      signer.update(data);
      Files.write(Path.of(words[1], words[at] + ".sig"), signer.sign());
      Files.write(Path.of(words[1], words[at] + ".der"), pair.getPublic().getEncoded());
      // The private half must stay in the HSM.
      System.out.printf("%s %s%n", words[at], pair.getPrivate().getEncoded() == null);
    }
  }
}
