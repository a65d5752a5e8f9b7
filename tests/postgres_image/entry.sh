#!/bin/sh
# What the image of compose.yaml does with these variables: the first start makes the role and the database.
set -eu
data=/var/lib/postgresql/data
programs=$(echo /usr/lib/postgresql/*/bin)
as_postgres="setpriv --reuid postgres --regid postgres --clear-groups"
if [ ! -e "$data/PG_VERSION" ]; then
    chown postgres:postgres "$data"
    echo "$POSTGRES_PASSWORD" > /tmp/password
    chmod 644 /tmp/password
    $as_postgres "$programs/initdb" --pgdata "$data" --username "$POSTGRES_USER" --pwfile /tmp/password \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 > /dev/null
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | $as_postgres "$programs/postgres" --single -D "$data" postgres > /dev/null
fi
exec $as_postgres "$programs/postgres" -D "$data" -c "listen_addresses=*"
