# An HTTPS server of IO::Socket::SSL, a process a connection: PORT CERTIFICATE KEY; serves the current
# folder.
use strict;
use warnings;
use IO::Socket::SSL;

my ($port, $certificate, $key) = @ARGV;
$SIG{CHLD} = 'IGNORE';
my $server = IO::Socket::SSL->new(
    LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 16, ReuseAddr => 1, Proto => 'tcp',
    SSL_server => 1, SSL_cert_file => $certificate, SSL_key_file => $key,
    SSL_startHandshake => 0) or die "listen: $SSL_ERROR $!";
while (my $client = $server->accept) {
    next if fork;
    IO::Socket::SSL->start_SSL($client, SSL_server => 1, SSL_cert_file => $certificate,
        SSL_key_file => $key) or die "handshake: $SSL_ERROR";
    my $request = <$client>;
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    my ($name) = $request =~ m{^GET /([a-z]+) } or die "no request";
    open my $file, '<:raw', $name or die "$name: $!";
    print $client "HTTP/1.0 200 OK\r\nContent-Length: " . (-s $file) . "\r\n\r\n";
    my $block;
    while (read $file, $block, 65536) { print $client $block or die "write: $!" }
    close $client;
    exit 0;
}
