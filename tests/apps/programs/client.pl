# An HTTPS client of IO::Socket::SSL: URL CERTIFICATE COPY.
use strict;
use warnings;
use IO::Socket::SSL;

my ($url, $certificate, $copy) = @ARGV;
my ($host, $path) = $url =~ m{^https://([^/]+)(/.*)$} or die "a wrong URL";
my $socket = IO::Socket::SSL->new(
    PeerAddr => $host, PeerPort => 443, SSL_ca_file => $certificate,
    SSL_verify_mode => SSL_VERIFY_PEER, SSL_verifycn_scheme => 'http') or die "connect: $SSL_ERROR $!";
print $socket "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n";
my $status = <$socket>;
$status =~ / 200 / or die $status;
while (my $line = <$socket>) { last if $line =~ /^\r?\n$/ }
open my $file, '>:raw', $copy or die "$copy: $!";
my $block;
while (read $socket, $block, 65536) { print $file $block }
close $file or die "$copy: $!";
