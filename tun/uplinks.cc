#include "tun/uplinks.h"
