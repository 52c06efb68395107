import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** DATA-FILE KEY-HEX ALGORITHM…: prints what MACs, hashes and the random generator of the HSM give. */
final class Authenticate {
  public static void main(String[] words) throws Exception {
    Hsm hsm = new Hsm();
    byte[] data = Files.readAllBytes(Path.of(words[0]));
    for (int at = 2; at < words.length; at++) {
      System.out.printf("%s %s%n", words[at], HexFormat.of().formatHex(compute(hsm, words[at], words[1], data)));
    }
  }

  private static byte[] compute(Hsm hsm, String algorithm, String key, byte[] data) throws Exception {
    if (algorithm.equals("random")) {
      byte[] bytes = new byte[32];
      SecureRandom.getInstance("PKCS11", hsm.provider).nextBytes(bytes);
      return bytes;
    }
    if (!algorithm.startsWith("Hmac")) return MessageDigest.getInstance(algorithm, hsm.provider).digest(data);
    Mac mac = Mac.getInstance(algorithm, hsm.provider);
    mac.init(new SecretKeySpec(HexFormat.of().parseHex(key), algorithm));
    return mac.doFinal(data);
  }
}
