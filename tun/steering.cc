#include "tun/steering.h"
