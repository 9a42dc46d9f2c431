#include "backend_torch.hpp"

namespace backend = hdap::accuracy::backend;

const hdap::accuracy::TorchFunctions hdap_accuracy_torch_functions{
    .loss_gradients = &backend::loss_gradients,
    .make_inference = &backend::make_inference,
    .inference_engine = &backend::inference_engine,
    .make_training = &backend::make_training};
