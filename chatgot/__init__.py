__version__ = "0.1.0"

import warnings

# fastai still uses torch.jit.script, of which PyTorch warns at import; nobody who trains a model can act on that
warnings.filterwarnings('ignore', '.*torch.jit.script', FutureWarning)
