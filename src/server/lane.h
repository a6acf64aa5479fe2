/* lane.h - one thread for what takes long to read
 *
 * The listener's threads answer what clients poll. A read that is not over after a
 * short while is given up there and run again here, one at a time, so that whoever asks
 * for the whole store waits for others who do, and nobody else waits for them. */
#ifndef REEVE_SERVER_LANE_H
#define REEVE_SERVER_LANE_H

#include "server/store.h"

struct lane;

/* NULL if there is no thread to be had. */
struct lane *lane_open(struct store *store);
/* After what is queued has been run. NULL is allowed. */
void lane_close(struct lane *lane);
/* Queues a job: run gets the lane's own reader (NULL if it cannot be opened), done
 * follows at once, both on the lane's thread. False if too many wait already. */
bool lane_submit(struct lane *lane, struct store_job *job);

#endif
