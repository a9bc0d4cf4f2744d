#include "tun/port_blocks.h"
