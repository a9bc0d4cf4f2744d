#include "stack/types.h"
