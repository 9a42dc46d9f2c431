#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/prune.hpp"

#include <cstdint>
#include <functional>

namespace hdap::accuracy {

/// Stochastic gradient descent with Nesterov momentum (Sutskever et al., ICML 2013) and a cosine
/// schedule (Loshchilov and Hutter, ICLR 2017) after a linear warm-up.
struct FinetuneParameters {
    double epochs = 1.0;          ///< passes over the images, may be a fraction; (0, 10000]
    std::int64_t batch = 64;      ///< [2, 65536]; batch norm needs two
    double learning_rate = 0.05;  ///< at its peak; (0, 100]
    double momentum = 0.9;        ///< [0, 1)
    double weight_decay = 5e-4;   ///< on convolution and linear weights only; [0, 1]
    double warmup = 0.05;         ///< share of the steps; [0, 0.5]
    double label_smoothing = 0.0; ///< Szegedy et al., CVPR 2016; [0, 0.5]
    bool augment = true;          ///< random flips, left to right, and random crops
    double crop_padding = 0.125;  ///< the black border that crops reach, of the height; [0, 0.5]
    std::uint64_t seed = 1;
};

/// Where training stands; given to the observer after every step.
struct FinetuneProgress {
    std::int64_t step = 0; ///< steps done
    std::int64_t steps = 0;
    double loss = 0.0;           ///< exponential moving average of the training loss
    double train_accuracy = 0.0; ///< the same of the share of augmented training images got right
};

/// Trains `start` on `images` in the calling thread and returns the trained weights.
///
/// Every epoch visits the images in another order, in batches of one size; images that do not
/// fill a batch are left out in that epoch. The result depends on the arguments only, never on
/// the number of threads. Also trains from scratch, from network::initial_weights. A softmax at the
/// network's end is left out of training, since the loss has its own.
///
/// `observer` may be empty; otherwise it is called after every step, and when it returns false,
/// training stops and the weights of that moment are returned.
/// Throws ConfigError when a parameter is out of its range, DataError when network, weights and
/// images do not fit together, InternalError when the loss is not a number: says the step and the
/// learning rate.
network::Weights finetune(const network::PrunedNetwork& start, const ImageData& images,
                          const FinetuneParameters& parameters,
                          const std::function<bool(const FinetuneProgress&)>& observer);

} // namespace hdap::accuracy
