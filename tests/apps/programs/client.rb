# net/http over TLS: URL CERTIFICATE COPY.
require 'net/http'

url, certificate, copy = ARGV
uri = URI(url)
Net::HTTP.start(uri.host, uri.port, use_ssl: true, ca_file: certificate) do |http|
  http.request(Net::HTTP::Get.new(uri)) do |response|
    abort "HTTP #{response.code}" unless response.code == '200'
    File.open(copy, 'wb') { |file| response.read_body { |block| file.write(block) } }
  end
end
