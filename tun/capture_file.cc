#include "tun/capture_file.h"
