# ruff: noqa: PLC0414 - a name imported as itself is exported
"""Every verb with its request and result types: for notebooks, servers and other programs.

Verbs that run a thread or its checks are coroutines: `start`, `resume`, `continue_thread`, `answer`, `verify`.
All others are plain functions that block until they are done.
"""

from core.errors import RolecallError as RolecallError
from core.run_result import RunResult as RunResult
from core.threads import ThreadOptions as ThreadOptions
from core.threads import ThreadRow as ThreadRow
from core.threads import ThreadStatus as ThreadStatus
from rolecall.service.lookup import Request as Request
from rolecall.service.lookup import SetupRequest as SetupRequest
from rolecall.service.lookup import ThreadRequest as ThreadRequest
from rolecall.service.runs import AnswerRequest as AnswerRequest
from rolecall.service.runs import ContinueRequest as ContinueRequest
from rolecall.service.runs import ResumeRequest as ResumeRequest
from rolecall.service.runs import StartRequest as StartRequest
from rolecall.service.runs import answer as answer
from rolecall.service.runs import continue_thread as continue_thread
from rolecall.service.runs import resume as resume
from rolecall.service.runs import start as start
from rolecall.service.setup import BenchRequest as BenchRequest
from rolecall.service.setup import ConfigRequest as ConfigRequest
from rolecall.service.setup import ConfigResult as ConfigResult
from rolecall.service.setup import DoctorRequest as DoctorRequest
from rolecall.service.setup import Health as Health
from rolecall.service.setup import RoleModels as RoleModels
from rolecall.service.setup import compare_models as compare_models
from rolecall.service.setup import config as config
from rolecall.service.setup import doctor as doctor
from rolecall.service.setup import models as models
from rolecall.service.steering import Sent as Sent
from rolecall.service.steering import SteerRequest as SteerRequest
from rolecall.service.steering import pause as pause
from rolecall.service.steering import steer as steer
from rolecall.service.threads import Deleted as Deleted
from rolecall.service.threads import DeleteRequest as DeleteRequest
from rolecall.service.threads import Events as Events
from rolecall.service.threads import EventsRequest as EventsRequest
from rolecall.service.threads import Message as Message
from rolecall.service.threads import ThreadDetails as ThreadDetails
from rolecall.service.threads import ThreadListing as ThreadListing
from rolecall.service.threads import adopt as adopt
from rolecall.service.threads import delete as delete
from rolecall.service.threads import events as events
from rolecall.service.threads import list_threads as list_threads
from rolecall.service.threads import thread as thread
from rolecall.service.work import AppliedWork as AppliedWork
from rolecall.service.work import ApplyRequest as ApplyRequest
from rolecall.service.work import Diff as Diff
from rolecall.service.work import DiffRequest as DiffRequest
from rolecall.service.work import VerifiedWork as VerifiedWork
from rolecall.service.work import VerifyRequest as VerifyRequest
from rolecall.service.work import apply as apply
from rolecall.service.work import diff as diff
from rolecall.service.work import verify as verify
