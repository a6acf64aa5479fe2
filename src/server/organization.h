/* organization.h - what the files of the organization service share */
#ifndef REEVE_SERVER_ORGANIZATION_H
#define REEVE_SERVER_ORGANIZATION_H

#include "server/call.h"

/* Handlers of organization-download.c: a query's answer as a table for spreadsheets. */
int organization_prepare_download(struct call *call);
int organization_download(struct call *call);

#endif
