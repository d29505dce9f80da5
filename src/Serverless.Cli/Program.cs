using Serverless.Cli.Commands;
using Serverless.Cli.Shell;

using var interruption = new Interruption(TimeProvider.System);
return await Tool.RunAsync(args, Terminal.OfProcess(), interruption.Token, () => interruption.ExitCode);
