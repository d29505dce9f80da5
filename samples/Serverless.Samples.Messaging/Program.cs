using Serverless.Samples.Messaging;

return args switch
{
    ["ask", var prompt] => await Asking.RunAsync(asker => asker.AskAsync(prompt)),
    ["stream", var prompt] => await Asking.RunAsync(asker => asker.StreamAsync(prompt)),
    ["submit", var prompt] => await Asking.RunAsync(asker => asker.SubmitAsync(prompt)),
    ["cancel", var prompt] => await Asking.RunAsync(asker => asker.CancelAsync(prompt)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        Asks Serverless for inference by messages, with the contracts and MassTransit alone.

          ask PROMPT      a request and its response
          stream PROMPT   the output while it is made, then the result
          submit PROMPT   an id at once, then the result, which comes to its own queue
          cancel PROMPT   asks, and takes it back

        Environment: RABBITMQ_URL (amqp://guest:guest@127.0.0.1:5672/), MODEL (smollm2-135m-instruct).
        """);
    return 2;
}
