/* oom-score.h - whom the kernel ends when memory is short */
#ifndef REEVE_OOM_SCORE_H
#define REEVE_OOM_SCORE_H

/* This process is chosen last, and so are those that it starts (-900, unless it has
 * less already). Without the privilege (CAP_SYS_RESOURCE) it stays as it is. To be
 * called before PR_SET_DUMPABLE is taken away, which closes the file to all but root.
 */
void oom_score_lower(void);

/* What it was before that, as text; "" if that is not known. */
const char *oom_score_first(void);

/* Gives this process that value, or none for "". Async-signal-safe. */
void oom_score_set(const char *score);

#endif
