"""SNS: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.sns import app_events, inbox, signing, statuses
from doppio.services.sns.archive import EXPIRE, expire_job
from doppio.services.sns.courier import Courier
from doppio.services.sns.permissions import ANONYMOUS, DATA_EVENTS, needs
from doppio.services.sns.protection import AUDIT, Protection, audit_job
from doppio.services.sns.publishing import Publishing
from doppio.services.sns.push import Applications
from doppio.services.sns.sms import Sms
from doppio.services.sns.sms_reports import REPORT, report
from doppio.services.sns.subscriptions import Subscriptions
from doppio.services.sns.topics import Topics

_courier = Courier()

SERVICE = Service(
    "sns",
    groups=[Topics(), Subscriptions(), Publishing(_courier), Applications(), Sms(), Protection()],
    needs=needs,
    data_events=DATA_EVENTS,
    anonymous=ANONYMOUS,
    subscriptions=[statuses.SUBSCRIPTION, app_events.SUBSCRIPTION],
    jobs={**_courier.jobs(), AUDIT: audit_job, EXPIRE: expire_job, REPORT: report},
    pages={
        signing.PAGE: signing.certificate_page,
        inbox.MAILS: inbox.mail_page,
        inbox.TEXTS: inbox.text_page,
    },
)
