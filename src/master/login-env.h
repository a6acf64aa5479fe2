/* login-env.h - the variables of a login that a payload can count on */
#ifndef REEVE_LOGIN_ENV_H
#define REEVE_LOGIN_ENV_H

#define LOGIN_VARIABLES 4

/* "HOME=...", USER, LOGNAME, SHELL of this process's user, those that its environment
 * lacks: systemd sets them for units with User= alone. Looked up once; NULL ends it.
 * Not for the master itself, whose folders depend on HOME. */
char *const *login_env(void);

#endif
