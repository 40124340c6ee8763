"""Cron expressions: when does a job run next?"""

from cronspec.fields import CronError
from cronspec.schedule import Schedule

__all__ = ["CronError", "Schedule"]
