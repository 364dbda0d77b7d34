// Consumers that come, leave and die.
#pragma once

#include "latency.h"

// A consumer that holds a message is killed; how long until another of its group has that message.
// The other waits in ep_ring_get; nothing else happens in the region. Default settings.
Values recovery(const Setting& setting, unsigned kills);

// ep_ring_consumer_open() and _close(), beside another consumer of the group, a producer that has
// reserved a quarter of the pool in blocks of 4 KiB, and 1000 messages that wait.
Values join_and_leave(const Setting& setting, size_t pool_bytes, unsigned times);
