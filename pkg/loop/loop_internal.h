/* Shared by the files of the loop room only. */
#ifndef VIPD_LOOP_INTERNAL_H
#define VIPD_LOOP_INTERNAL_H

#include "loop/loop.h"

/* Something that lives exactly as long as the source: given to `release` when the source is freed. */
void loop_source_attach(struct loop_source *s, void *owned, void (*release)(void *owned));

#endif
