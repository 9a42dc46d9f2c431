#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/parallel/communicator.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace hdap::study {

/// The images that a study or a training uses; empty where it has none.
struct ImageSplits {
    accuracy::ImageData train; ///< without the held-out images
    accuracy::ImageData held_out;
    accuracy::ImageData test;
};

/// Reads both splits of a packed file, the last `held_out` training images apart, on the root, and
/// gives them to every rank. `check` gets the number of training images before any is read, and
/// may throw, when they are too few. A seal is checked before HDF5 sees a byte. Collective.
/// Memory: the images, once on each rank; the file's bytes are on none.
/// Throws DataError as accuracy::read_images does.
ImageSplits read_images_on_every_rank(const parallel::Communicator& communicator,
                                      const std::string& file, std::int64_t held_out,
                                      const std::function<void(std::int64_t)>& check);

} // namespace hdap::study
