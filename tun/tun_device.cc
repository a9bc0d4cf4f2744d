#include "tun/tun_device.h"
