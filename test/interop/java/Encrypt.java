import java.nio.file.Files;
import java.nio.file.Path;
import java.security.spec.AlgorithmParameterSpec;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * DATA-FILE FOLDER KEY-HEX IV-HEX TRANSFORMATION…: encrypts with a given AES key that goes into the HSM, and decrypts
 * with one that the HSM made. "-" for the IV lets the provider choose.
 */
final class Encrypt {
  public static void main(String[] words) throws Exception {
    Hsm hsm = new Hsm();
    byte[] data = Files.readAllBytes(Path.of(words[0]));
    byte[] iv = words[3].equals("-") ? null : HexFormat.of().parseHex(words[3]);
    SecretKey given = new SecretKeySpec(HexFormat.of().parseHex(words[2]), "AES");
    KeyGenerator generator = KeyGenerator.getInstance("AES", hsm.provider);
    generator.init(256);
    SecretKey made = generator.generateKey();
    for (int at = 4; at < words.length; at++) {
      Path output = Path.of(words[1], words[at].replace('/', '-') + ".enc");
      Files.write(output, crypt(hsm, Cipher.ENCRYPT_MODE, words[at], given, iv, data).output);
      Crypted encrypted = crypt(hsm, Cipher.ENCRYPT_MODE, words[at], made, iv, data);
      Crypted decrypted = crypt(hsm, Cipher.DECRYPT_MODE, words[at], made, encrypted.iv, encrypted.output);
      System.out.printf("%s %s%n", words[at], Arrays.equals(decrypted.output, data));
    }
  }

  private record Crypted(byte[] output, byte[] iv) {}

  private static Crypted crypt(Hsm hsm, int mode, String transformation, SecretKey key, byte[] iv, byte[] input)
      throws Exception {
    Cipher cipher = Cipher.getInstance(transformation, hsm.provider);
    AlgorithmParameterSpec parameters =
        iv == null || transformation.contains("/ECB/")
            ? null
            : transformation.contains("/GCM/") ? new GCMParameterSpec(128, iv) : new IvParameterSpec(iv);
    if (parameters == null) cipher.init(mode, key);
    else cipher.init(mode, key, parameters);
    if (transformation.contains("/GCM/")) cipher.updateAAD("header".getBytes());
    return new Crypted(cipher.doFinal(input), cipher.getIV());
  }
}
