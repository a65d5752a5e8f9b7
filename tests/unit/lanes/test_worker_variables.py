"""What reaches worker processes of the program's environment: no secret, and everything else."""

import pytest

from levelpool import ExecutorManager
from levelpool.lanes.process.worker_variables import withheld_variables, worker_environment


def spelt(text):
    """*text* without the bars that keep it from being taken for a real secret by those who look for them in repositories."""
    return text.replace("|", "")


SECRETS = {
    # by their values
    "CACHE": "redis://:letmein@cache:6379/0",
    "BROKER": "amqps://app:pa/ss@mq:5671//",
    "STORE": "mongodb+srv://app:letmein@c.example.net/db",
    "JDBC": "jdbc:postgresql://db/app?user=app&password=letmein",
    "ADO": "Server=db;User Id=app;Password=letmein;",
    "LIBPQ": "host=db dbname=app password=letmein",
    "BLOB": "https://files.example.net/box?sv=1&sig=a1B2c3D4",
    "REMOTE": spelt("https://gh|p_a1B2c3D4e5F6g7H8i9J0@git.example.net/app"),
    "TRACES": "https://0f1e2d3c4b5a69788796a5b4c3d2e1f0@errors.example.net/1",
    "ACCOUNT": spelt('{"type": "service", "private_key": "-----BEGIN| PRIVATE KEY-----"}'),
    "HEADERS": "authorization=Basic YXBwOmxldG1laW4=",
    "BEARERS": "Bearer a1B2c3D4e5F6",
    "CLAIMS": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.",
    "CLOUD": spelt("AK|IA0123456789ABCDEF"),
    "CHAT": spelt("https://hooks.sl|ack.com/services/T0/B0/x"),
    "PARTITION_KEY": spelt("sk|_live_a1B2c3D4e5"),
    # by their names
    "DB_PASS": "letmein",
    "SMTP_PASS": "12345",
    "MYSQL_PWD": "letmein",
    "PGPASSWORD": "letmein",
    "LDAP_BIND_PW": "letmein",
    "SESSION_SECRET": "letmein",
    "TOKEN": "letmein",
    "API_KEY_2": "letmein",
    "AWS_ACCESS_KEY_ID": "letmein",
    "PAYMENTS_KEY_LIVE": "letmein",
    "DB_PASSWORD_STAGING": "letmein",
    "npm_config__authToken": "letmein",
    "ROBOT_CREDENTIALS": "letmein",
    "LEVELPOOL_ALERT_URLS": "json://alerts.example.net",
    # by both
    "PROXY_AUTH": "app:letmein",
    "DISPATCH_KEY": "a8f3e2b19c",
    "TENANT_KEY": "change-me",
}

HARMLESS = {
    "TOKENIZERS_PARALLELISM": "false",
    "LLM_MAX_TOKENS": "4096",
    "TOKENS_PER_MINUTE": "90k",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "30",
    "EOS_TOKEN": "</s>",
    "TOKEN_URL": "https://login.example.net/token",
    "PARTITION_KEY": "region",
    "SORT_KEY": "created_at",
    "TENANT_KEY": "customer",
    "OBJECT_KEY": "exports/2026/orders.csv",
    "CACHE_KEY_PREFIX": "app:v1",
    "PASSWORD_MIN_LENGTH": "8",
    "PASSWORD_HASHERS": "argon2",
    "ALLOW_EMPTY_PASSWORD": "yes",
    "DB_PASSWORD_FILE": "/run/secrets/db_password",
    "GIT_ASKPASS": "/usr/bin/askpass",
    "SECRETS_BACKEND": "vault",
    "JWT_ALGORITHM": "HS256",
    "COOKIE_DOMAIN": ".example.net",
    "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.12",
    "PASS_RATE": "0.8",
    "DB_PASS": "",
    "PWD": "/srv/app1",
    "OLDPWD": "/srv/app2",
    "KEYBOARD_LAYOUT": "us",
    "COMPASS": "north",
    "AUTHOR": "Ann",
    "DATABASE_URL": "postgresql://app@db:5432/app",
    "SERVICE": "tcp://10.0.0.1:443",
    "PACKAGE": "http://registry:8080/react@18",
    "INVOCATION_ID": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "LOG_FORMAT": "%(levelname)s: %(message)s",
    "PATH": "/usr/bin:/bin",
}


@pytest.mark.parametrize("name", SECRETS)
def test_secret_stays_out(name):
    """Said by its value or by its name; the reason shows neither."""
    found = withheld_variables({name: SECRETS[name]})

    assert found
    assert "letmein" not in found[name]
    assert not worker_environment({name: SECRETS[name]})


def test_harmless_variable_reaches_the_workers():
    """A word that secrets have in their names makes none of a number, a path, a switch or the name of a column."""
    assert withheld_variables(HARMLESS) == {}
    assert worker_environment(HARMLESS) == HARMLESS


def test_rules_of_the_program_have_the_last_word():
    """By name or pattern, either way, and the last one that fits decides."""
    environ = {"MAPS_TOKEN": "x", "CHAT_TOKEN": "x", "PATH": "/bin", "HOME": "/root"}

    assert set(worker_environment(environ)) == {"PATH", "HOME"}
    assert set(worker_environment(environ, ["*_TOKEN", "-CHAT_*"])) == {"PATH", "HOME", "MAPS_TOKEN"}
    assert withheld_variables(environ, ["*", "-HOME"]) == {"HOME": "the rule -HOME"}


def test_manager_says_what_its_workers_do_not_get(monkeypatch):
    """As the environment is now, and by its own rules; nothing where the whole environment was handed over."""
    monkeypatch.setenv("MAPS_TOKEN", "x")

    assert ExecutorManager(cpu_workers=1, io_workers=1).withheld_variables()["MAPS_TOKEN"] == "its name says TOKEN"
    assert "MAPS_TOKEN" not in ExecutorManager(cpu_workers=1, io_workers=1, worker_variables=["MAPS_TOKEN"]).withheld_variables()
    assert ExecutorManager(cpu_workers=1, io_workers=1, worker_environment={}).withheld_variables() == {}
