file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
file(GLOB_RECURSE files RELATIVE ${PREFIX} ${PREFIX}/*)
list(SORT files)
set(promised bin/mptcptls bin/mptcptlsd lib/libmptcptls.so)
if(NOT "${files}" STREQUAL "${promised}")
  message(FATAL_ERROR "installed ${files}, promised ${promised}")
endif()
# The command preloads the library beside it, and verifies that it loads.
execute_process(COMMAND ${PREFIX}/bin/mptcptls run -- /bin/sh -c "echo $LD_PRELOAD"
                OUTPUT_VARIABLE preload COMMAND_ERROR_IS_FATAL ANY)
if(NOT "${preload}" MATCHES "installed/.*lib/libmptcptls.so")
  message(FATAL_ERROR "mptcptls run preloads \"${preload}\"")
endif()
