#!/bin/bash
# Run one of the two processes of a Galaxy, in the foreground: serve.sh web FOLDER HOST:PORT, or serve.sh celery FOLDER.
# FOLDER holds galaxy/ (the virtual environment) and config/ (a filled copy of the example). What gravity (galaxyctl)
# starts on a real site; gravity itself refuses to run as root.
set -euo pipefail
FOLDER=$2
GALAXY=$FOLDER/galaxy
cd "$FOLDER"
export GALAXY_CONFIG_FILE=$FOLDER/config/galaxy.yml
export VIRTUAL_ENV=$GALAXY PATH=$GALAXY/bin:$PATH
# The rules for TPV are Python modules.
PYTHONPATH=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tpv" && pwd)
export PYTHONPATH
case $1 in
    web) exec "$GALAXY/bin/python" "$GALAXY/bin/gunicorn" 'galaxy.webapps.galaxy.fast_factory:factory()' \
        --timeout 300 --worker-class galaxy.webapps.galaxy.workers.Worker --bind "$3" --workers 1 \
        --config python:galaxy.web_stack.gunicorn_config --no-control-socket ;;
    celery) exec "$GALAXY/bin/python" "$GALAXY/bin/celery" --app galaxy.celery worker --concurrency 2 --loglevel INFO \
        --pool threads --queues celery,galaxy.internal,galaxy.external ;;
    *) echo "serve.sh: say web or celery." >&2; exit 2 ;;
esac
