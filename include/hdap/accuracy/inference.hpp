#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// A network with one batch of input, ready to be timed: as it would be deployed, with batch norms
/// folded into the convolutions, tensors channels-last, no gradients, and memory that is kept from
/// run to run.
///
/// Objects with different numbers of threads may live side by side; use them from one thread of the
/// program.
class Inference {
  public:
    virtual ~Inference() = default;

    /// Runs the batch through the network once and waits for the result.
    virtual void run() = 0;
};

/// Prepares `network` for batches of `batch` images, [1, 100000], on `threads` threads, [1, 4096].
/// The pixels are fixed, different numbers.
/// Throws ConfigError for a value out of its range, DataError when the weights do not fit.
std::unique_ptr<Inference> make_inference(const network::Network& network,
                                          const network::Weights& weights, std::int64_t batch,
                                          int threads);

/// The network's outputs, one after the other, each [images][channels][height][width]. `images` are
/// [images][channels][height][width], as the network gets them: nothing is normalised. Runs in the
/// calling thread, all images in one batch.
/// Throws DataError when the weights do not fit, or `images` is not a number of whole images.
std::vector<std::vector<float>> run_network(const network::Network& network,
                                            const network::Weights& weights,
                                            const std::vector<float>& images);

/// What executes an Inference: "LibTorch 1.13.0".
std::string inference_engine();

} // namespace hdap::accuracy
