// HttpsServer: PORT CERTIFICATE KEY; serves the current folder.
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

class Server {
  public static void main(String[] args) throws Exception {
    char[] none = new char[0];
    String key = Files.readString(Path.of(args[2])).replaceAll("-----[A-Z ]+-----|\\s", "");
    KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
    keys.load(null, none);
    try (InputStream file = new FileInputStream(args[1])) {
      Certificate certificate = CertificateFactory.getInstance("X.509").generateCertificate(file);
      keys.setKeyEntry(
          "lab",
          KeyFactory.getInstance("EC")
              .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(key))),
          none,
          new Certificate[] {certificate});
    }
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, none);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(factory.getKeyManagers(), null, null);
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress("0.0.0.0", Integer.parseInt(args[0])), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(context));
    server.createContext(
        "/",
        exchange -> {
          Path file = Path.of("." + exchange.getRequestURI().getPath());
          exchange.sendResponseHeaders(200, Files.size(file));
          try (OutputStream body = exchange.getResponseBody()) {
            Files.copy(file, body);
          }
        });
    server.start();
  }
}
