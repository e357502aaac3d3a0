#!/bin/sh
# The tables of a Temporal server in PostgreSQL; brought up to date where they are there already.
set -eu
for database in temporal visibility; do
  name=temporal
  [ "$database" = temporal ] || name=temporal_visibility
  sql() { temporal-sql-tool --plugin postgres12 --ep postgresql -p 5432 -u temporal --db "$name" "$@"; }
  # Both say that it is there where it is, and that is well.
  sql create || true
  sql setup-schema -v 0.0 || true
  sql update-schema -d "/etc/temporal/schema/postgresql/v12/$database/versioned"
done
