<?php
// PHP's streams over TLS: URL CERTIFICATE COPY.
[, $url, $certificate, $copy] = $argv;
$context = stream_context_create(['ssl' => ['cafile' => $certificate]]);
exit(copy($url, $copy, $context) ? 0 : 1);
