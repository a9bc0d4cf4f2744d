// HttpsURLConnection: URL CERTIFICATE COPY.
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

class Client {
  public static void main(String[] args) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (InputStream file = new FileInputStream(args[1])) {
      trusted.setCertificateEntry(
          "lab", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, factory.getTrustManagers(), null);
    HttpsURLConnection connection = (HttpsURLConnection) new URL(args[0]).openConnection();
    connection.setSSLSocketFactory(context.getSocketFactory());
    try (InputStream body = connection.getInputStream()) {
      Files.copy(body, Path.of(args[2]));
    }
  }
}
