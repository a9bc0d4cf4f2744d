# WEBrick over TLS: PORT CERTIFICATE KEY; serves the current folder.
require 'webrick'
require 'webrick/https'

port, certificate, key = ARGV
server = WEBrick::HTTPServer.new(
  BindAddress: '0.0.0.0', Port: port.to_i, DocumentRoot: Dir.pwd, AccessLog: [], SSLEnable: true,
  SSLCertificate: OpenSSL::X509::Certificate.new(File.read(certificate)),
  SSLPrivateKey: OpenSSL::PKey.read(File.read(key))
)
trap('TERM') { server.shutdown }
server.start
