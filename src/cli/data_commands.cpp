#include "commands.hpp"
#include "hdap/accuracy/image_data.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>

namespace hdap::cli {
namespace {

struct PackOptions {
    std::string kind;
    std::string source;
    std::string output;
};

} // namespace

void add_data_commands(CLI::App& app, Action& action) {
    CLI::App* data = app.add_subcommand("data", "Image data sets");
    data->require_subcommand(1);
    auto options = std::make_shared<PackOptions>();
    CLI::App* pack = add_command(
        *data, "pack",
        "Pack a data set into one HDF5 file, which every study that uses it can share.",
        "hdap data pack fashion-mnist /usr/share/datasets/fashion-mnist fashion-mnist.h5");
    pack->add_option("KIND", options->kind, "Format of the source: fashion-mnist")
        ->required()
        ->check(CLI::IsMember({"fashion-mnist"}));
    pack->add_option("SOURCE", options->source, "Folder of the source files")->required();
    pack->add_option("OUT", options->output, "HDF5 file to write (hdap-images/1)")->required();
    pack->callback([options, &action] {
        action = [options](Arguments) {
            accuracy::pack_fashion_mnist(options->source, options->output);
            std::printf("%s: %.1f MB\n", options->output.c_str(),
                        static_cast<double>(std::filesystem::file_size(options->output)) / 1e6);
            return core::ExitCode::complete;
        };
    });
}

} // namespace hdap::cli
