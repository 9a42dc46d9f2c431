#include "hdap/cli/cli.hpp"
#include "openmp_binding.hpp"

int main(int argc, char** argv) {
    hdap::show_openmp_binding();
    return hdap::cli::run(argc, argv);
}
