"""The same as a view of Django."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

from levelpool import get_executor_manager

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")


async def view(request):
    manager = get_executor_manager()
    return JsonResponse(
        {"server": os.getpid(), "cpu": await manager.run_cpu_intensive(os.getpid), "io": await manager.run_io_intensive(os.getpid)}
    )


urlpatterns = [path("", view)]
app = get_asgi_application()
