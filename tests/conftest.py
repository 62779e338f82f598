"Fixtures that several tests share"
from lab import browser, lab, page
